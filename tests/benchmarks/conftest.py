from planting import genuine, plant

__all__ = ["genuine", "plant"]
