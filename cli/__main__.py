"""``python -m c2f_cli``, for torchrun and for machines where the script is not on the path."""

from .main import main

if __name__ == "__main__":
    main()
