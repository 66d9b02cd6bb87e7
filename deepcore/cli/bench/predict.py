def predict() -> None:
    pass
