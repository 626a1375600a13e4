"""What is shipped with the program: ticket templates and an example configuration.

In a checkout they lie beside the package, in an installed wheel under ``gateway/shipped``.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped_folder() -> Path:
    """The folder that holds ``templates/`` and ``routes.yaml``.

    Raises:
        FileNotFoundError: if the program was installed without them.
    """
    return find(_PACKAGE)


def find(package: Path) -> Path:
    """The same for a package that lies at ``package``."""
    for folder in (package / "shipped", package.parent):
        if (folder / "templates").is_dir() and (folder / "routes.yaml").is_file():
            return folder
    raise FileNotFoundError(f"neither {package / 'shipped'} nor {package.parent} holds templates/ and routes.yaml")


def shipped_templates() -> Path:
    """The folder of the shipped ticket templates."""
    return shipped_folder() / "templates"


def shipped_routes() -> Path:
    """The shipped configuration, which works with the built-in sandbox as it is."""
    return shipped_folder() / "routes.yaml"
