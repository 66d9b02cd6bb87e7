"""``python -m deepcore`` is the command ``deepcore``."""

from deepcore.cli import main

if __name__ == "__main__":
    main()
