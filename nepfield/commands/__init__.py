"""The commands of `nepfield`, a module for each kind; `nepfield.cli` lists them."""
