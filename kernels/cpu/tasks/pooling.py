"""Pooling and its gradient, a run of blocks of outputs at a time, over the input in place."""

from deepcore.kernels.cpu.host import ITEM
from deepcore.kernels.cpu.native import call, record
from deepcore.kernels.cpu.record import POOLING, RUN

pooling_at = record(POOLING)
run_at = record(RUN)
RUN_BYTES = RUN.itemsize


def pool(told, index, worker):
    """Some rows of the images' runs; places lie beside what is read on the way back, else beside what is written."""
    t = pooling_at(told)
    for row in range(t.rows * index // t.tasks, t.rows * (index + 1) // t.tasks):
        image = row // t.image_rows
        first = (row - image * t.image_rows) * t.columns
        for number in range(first, first + t.columns):
            run = run_at(t.runs + number * RUN_BYTES)
            x = image * t.x_image + run.x
            y = image * t.y_image + run.y
            places = t.places + (x if t.back else y) // ITEM
            call(run.kernel, (t.x + x, t.x_row, t.x_pixel, t.y + y, t.y_row, t.y_pixel, places, run.count))
