from planting import genuine, plant, threads_put_back

__all__ = ["genuine", "plant", "threads_put_back"]
