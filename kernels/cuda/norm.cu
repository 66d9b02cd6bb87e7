// Batch, layer and local response normalisation; channels last. Built with -DT=<type of x, y and their
// gradients>, the kernels of layer normalisation with -DROW_THREADS too. All else, statistics, gamma, beta and their
// gradients, is as wide as what is computed in.
//
// Sums over a batch are taken in chunks (column.cuh); what several chunks give is put together by a second launch.
#include "column.cuh"
#include "row.cuh"
#include "vector.cuh"

using Wide = dc::accumulator<T>;

// Count, mean and sum of squared deviations of some elements.
struct Moments {
    Wide count, mean, squares;
};

// Chan, Golub and LeVeque 1979: moments of two sets together, without the cancellation of E[x^2] - E[x]^2.
struct CombineMoments {
    __device__ __forceinline__ Moments operator()(Moments a, Moments b) const {
        const Wide count = a.count + b.count;
        if (count == Wide(0)) return a;
        const Wide difference = b.mean - a.mean, share = b.count / count;
        return {count, a.mean + difference * share, a.squares + b.squares + difference * difference * a.count * share};
    }
};

// The moments of each chunk of rows: means, squares [chunks, columns]; x [rows, columns].
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    batch_norm_moments(const T* __restrict__ x, Wide* __restrict__ means, Wide* __restrict__ squares, long long rows,
                       long long columns, long long chunk_rows) {
    dc::for_each_column_task(1, rows, columns, chunk_rows, [&](const dc::ColumnTask& task) {
        // Welford 1962: one sweep.
        Moments moments = {Wide(0), Wide(0), Wide(0)};
#pragma unroll 2
        for (int64_t row = task.first_row; row < task.last_row; row += blockDim.y) {
            const Wide value = Wide(x[row * columns + task.clamped]), difference = value - moments.mean;
            moments.count += Wide(1);
            moments.mean += difference / moments.count;
            moments.squares += difference * (value - moments.mean);
        }
        moments = dc::reduce_strips(moments, CombineMoments());
        if (task.writes()) {
            means[task.place(columns)] = moments.mean;
            squares[task.place(columns)] = moments.squares;
        }
    });
}

// The moments of all rows from those of their chunks [chunks, columns]: mean and variance [columns]. The grid has a
// block for every tile of columns.
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    batch_norm_statistics(const Wide* __restrict__ means, const Wide* __restrict__ squares, Wide* __restrict__ mean,
                          Wide* __restrict__ variance, long long rows, long long columns, long long chunk_rows) {
    const int64_t chunks = dc::ceil_div(rows, chunk_rows);
    dc::for_each_column_task(1, chunks, columns, chunks, [&](const dc::ColumnTask& task) {
        Moments moments = {Wide(0), Wide(0), Wide(0)};
#pragma unroll 4
        for (int64_t chunk = task.first_row; chunk < task.last_row; chunk += blockDim.y) {
            const int64_t left = rows - chunk * chunk_rows, place = chunk * columns + task.clamped;
            moments =
                CombineMoments()(moments, {Wide(left < chunk_rows ? left : chunk_rows), means[place], squares[place]});
        }
        moments = dc::reduce_strips(moments, CombineMoments());
        if (task.writes()) {
            mean[task.column] = moments.mean;
            variance[task.column] = moments.squares / Wide(rows);
        }
    });
}

// y = gamma * (x - mean) / sqrt(variance + epsilon) + beta; x, y [rows, columns], the others [columns].
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    batch_norm_apply(const T* __restrict__ x, const Wide* __restrict__ gamma, const Wide* __restrict__ beta,
                     const Wide* __restrict__ mean, const Wide* __restrict__ variance, T* __restrict__ y, Wide epsilon,
                     long long rows, long long columns, long long chunk_rows) {
    dc::for_each_column_task(1, rows, columns, chunk_rows, [&](const dc::ColumnTask& task) {
        if (!task.inside) return;
        const int64_t column = task.column;
        const Wide center = mean[column], shift = beta[column];
        const Wide scale = gamma[column] / sqrt(variance[column] + epsilon);
#pragma unroll 4
        for (int64_t row = task.first_row; row < task.last_row; row += blockDim.y)
            y[row * columns + column] = T((Wide(x[row * columns + column]) - center) * scale + shift);
    });
}

// sums[0] = sum of dy, sums[1] = sum of dy * h over each chunk, with h = (x - mean) / sqrt(variance + epsilon);
// sums [2, chunks, columns].
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    batch_norm_sums(const T* __restrict__ dy, const T* __restrict__ x, const Wide* __restrict__ mean,
                    const Wide* __restrict__ variance, Wide* __restrict__ sums, Wide epsilon, long long rows,
                    long long columns, long long chunk_rows) {
    const int64_t results = dc::ceil_div(rows, chunk_rows) * columns;
    dc::for_each_column_task(1, rows, columns, chunk_rows, [&](const dc::ColumnTask& task) {
        const Wide center = mean[task.clamped], rstd = Wide(1) / sqrt(variance[task.clamped] + epsilon);
        dc::Sums<Wide> totals = {Wide(0), Wide(0)};
#pragma unroll 4
        for (int64_t row = task.first_row; row < task.last_row; row += blockDim.y) {
            const int64_t i = row * columns + task.clamped;
            totals.first += Wide(dy[i]);
            totals.second += Wide(dy[i]) * ((Wide(x[i]) - center) * rstd);
        }
        totals = dc::reduce_strips(totals, dc::AddSums());
        if (task.writes()) {
            sums[task.place(columns)] = totals.first;
            sums[results + task.place(columns)] = totals.second;
        }
    });
}

// dx = gamma * rstd * (dy - dbeta / rows - h * dgamma / rows), with rstd = 1 / sqrt(variance + epsilon) and h as above.
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    batch_norm_dgrad(const T* __restrict__ dy, const T* __restrict__ x, const Wide* __restrict__ gamma,
                     const Wide* __restrict__ mean, const Wide* __restrict__ variance, const Wide* __restrict__ dgamma,
                     const Wide* __restrict__ dbeta, T* __restrict__ dx, Wide epsilon, long long rows,
                     long long columns, long long chunk_rows) {
    dc::for_each_column_task(1, rows, columns, chunk_rows, [&](const dc::ColumnTask& task) {
        if (!task.inside) return;
        const int64_t column = task.column;
        const Wide center = mean[column], rstd = Wide(1) / sqrt(variance[column] + epsilon),
                   scale = gamma[column] * rstd;
        const Wide mean_dy = dbeta[column] / Wide(rows), mean_product = dgamma[column] / Wide(rows) * rstd;
#pragma unroll 4
        for (int64_t row = task.first_row; row < task.last_row; row += blockDim.y) {
            const int64_t i = row * columns + column;
            dx[i] = T(scale * (Wide(dy[i]) - mean_dy - (Wide(x[i]) - center) * mean_product));
        }
    });
}

// y = gamma * (x - mean) * rstd + beta over each row; x, y [rows, columns], gamma, beta [columns], mean, rstd [rows].
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    layer_norm_fprop(const T* __restrict__ x, const Wide* __restrict__ gamma, const Wide* __restrict__ beta,
                     T* __restrict__ y, Wide* __restrict__ mean, Wide* __restrict__ rstd, Wide epsilon, long long rows,
                     long long columns) {
    dc::for_each_row(rows, columns, [&](int64_t row, int64_t count) {
        // The second and the third sweep find the row in a cache.
        const T* values = x + row * columns;
        const int lane = dc::RowGroup::lane(), threads = dc::RowGroup::threads;
        Wide total = Wide(0);
        for (int64_t i = lane; i < count; i += threads) total += Wide(values[i]);
        const Wide center = dc::RowGroup::sum(total) / Wide(columns);
        Wide squares = Wide(0);
        for (int64_t i = lane; i < count; i += threads) {
            const Wide difference = Wide(values[i]) - center;
            squares += difference * difference;
        }
        const Wide scale = Wide(1) / sqrt(dc::RowGroup::sum(squares) / Wide(columns) + epsilon);
        for (int64_t i = lane; i < count; i += threads)
            y[row * columns + i] = T((Wide(values[i]) - center) * scale * gamma[i] + beta[i]);
        if (count && lane == 0) {
            mean[row] = center;
            rstd[row] = scale;
        }
    });
}

// dx = rstd * (g - mean(g) - h * mean(g * h)) over each row, with h = (x - mean) * rstd and g = dy * gamma.
// registers: 40
extern "C" __global__ void __launch_bounds__(256)
    layer_norm_dgrad(const T* __restrict__ dy, const T* __restrict__ x, const Wide* __restrict__ gamma,
                     const Wide* __restrict__ mean, const Wide* __restrict__ rstd, T* __restrict__ dx, long long rows,
                     long long columns) {
    dc::for_each_row(rows, columns, [&](int64_t row, int64_t count) {
        const T *values = x + row * columns, *gradients = dy + row * columns;
        const int lane = dc::RowGroup::lane(), threads = dc::RowGroup::threads;
        const Wide center = mean[row], scale = rstd[row];
        Wide total = Wide(0), product = Wide(0);
        for (int64_t i = lane; i < count; i += threads) {
            const Wide g = Wide(gradients[i]) * gamma[i];
            total += g;
            product += g * ((Wide(values[i]) - center) * scale);
        }
        total = dc::RowGroup::sum(total) / Wide(columns);
        product = dc::RowGroup::sum(product) / Wide(columns);
        for (int64_t i = lane; i < count; i += threads)
            dx[row * columns + i] =
                T(scale * (Wide(gradients[i]) * gamma[i] - total - (Wide(values[i]) - center) * scale * product));
    });
}

// sums[0] = sum of dy, sums[1] = sum of dy * h over each chunk of rows, with h as above; sums [2, chunks, columns].
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    layer_norm_sums(const T* __restrict__ dy, const T* __restrict__ x, const Wide* __restrict__ mean,
                    const Wide* __restrict__ rstd, Wide* __restrict__ sums, long long rows, long long columns,
                    long long chunk_rows) {
    const int64_t results = dc::ceil_div(rows, chunk_rows) * columns;
    dc::for_each_column_task(1, rows, columns, chunk_rows, [&](const dc::ColumnTask& task) {
        dc::Sums<Wide> totals = {Wide(0), Wide(0)};
#pragma unroll 4
        for (int64_t row = task.first_row; row < task.last_row; row += blockDim.y) {
            const int64_t i = row * columns + task.clamped;
            totals.first += Wide(dy[i]);
            totals.second += Wide(dy[i]) * ((Wide(x[i]) - mean[row]) * rstd[row]);
        }
        totals = dc::reduce_strips(totals, dc::AddSums());
        if (task.writes()) {
            sums[task.place(columns)] = totals.first;
            sums[results + task.place(columns)] = totals.second;
        }
    });
}

// Calls body(element, first, last) for the elements of this thread: the neighbours of channel c in its row, from
// c - radius to c + radius, are the elements first to last. Threads of a warp share most of them, in a cache.
template <class Body>
__device__ __forceinline__ void for_each_neighbourhood(int64_t size, int columns, int radius, Body body) {
    for (int64_t i = dc::grid_start(); i < size; i += dc::grid_stride()) {
        const int channel = dc::modulo(i, columns);
        body(i, i - (channel < radius ? channel : radius),
             i + (columns - 1 - channel < radius ? columns - 1 - channel : radius));
    }
}

// scale = bias + alpha * (sum of x^2 over the neighbours), y = x * scale^-beta; all [size] with rows of `columns`.
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    local_response_norm_fprop(const T* __restrict__ x, T* __restrict__ y, Wide* __restrict__ scale, int radius,
                              Wide bias, Wide alpha, Wide beta, int columns, long long size) {
    for_each_neighbourhood(size, columns, radius, [&](int64_t i, int64_t first, int64_t last) {
        Wide squares = Wide(0);
        for (int64_t j = first; j <= last; ++j) squares += Wide(x[j]) * Wide(x[j]);
        const Wide value = bias + alpha * squares;
        scale[i] = value;
        y[i] = T(Wide(x[i]) * pow(value, -beta));
    });
}

// ratios = dy * x * scale^(-beta - 1): what the gradient sums over neighbours, with one power an element.
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    local_response_norm_ratios(const T* __restrict__ dy, const T* __restrict__ x, const Wide* __restrict__ scale,
                               Wide* __restrict__ ratios, Wide beta, long long size) {
    for (int64_t i = dc::grid_start(); i < size; i += dc::grid_stride())
        ratios[i] = Wide(dy[i]) * Wide(x[i]) * pow(scale[i], -beta) / scale[i];
}

// dx = dy * scale^-beta - 2 * alpha * beta * x * (sum of the ratios over the neighbours).
// registers: 32
extern "C" __global__ void __launch_bounds__(256)
    local_response_norm_dgrad(const T* __restrict__ dy, const T* __restrict__ x, const Wide* __restrict__ scale,
                              const Wide* __restrict__ ratios, T* __restrict__ dx, int radius, Wide alpha, Wide beta,
                              int columns, long long size) {
    for_each_neighbourhood(size, columns, radius, [&](int64_t i, int64_t first, int64_t last) {
        Wide total = Wide(0);
        for (int64_t j = first; j <= last; ++j) total += ratios[j];
        dx[i] = T(Wide(dy[i]) * pow(scale[i], -beta) - Wide(2) * alpha * beta * Wide(x[i]) * total);
    });
}
