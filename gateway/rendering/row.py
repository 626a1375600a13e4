"""What a template gets to see of a look-up."""

from collections.abc import Mapping


class Row(dict[str, str]):
    """The columns of a row by name; none where there is no row, and then ``why`` says so in the error of the template."""

    __slots__ = ("why",)

    def __init__(self, columns: Mapping[str, str] | None = None, why: str = "") -> None:
        super().__init__(columns or {})
        self.why = why
