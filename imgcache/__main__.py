"""`python -m imgcache` is `imgcache`."""

from imgcache.cli import main

if __name__ == "__main__":
    main()
