def memory() -> None:
    pass
