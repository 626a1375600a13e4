"""JSON Schema of the whole file, for editors that complete and check YAML while one types."""

from collections.abc import Mapping

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from gateway.config.models import File
from gateway.config.registries import Registries, default_registries
from gateway.model.json import JsonObject, JsonValue


def schema(registries: Registries | None = None) -> JsonObject:
    """The schema (draft 2020-12): the settings of every kind of source and helpdesk are told apart by ``kind``."""
    known = registries or default_registries()
    whole = _of(File)
    definitions: JsonObject = _object(whole.pop("$defs", {}))
    sources = {name: kind.settings for name, kind in known.source_kinds.items()}
    helpdesks = {name: kind.settings for name, kind in known.helpdesk_kinds.items()}
    properties = _object(whole["properties"])
    kinds: tuple[tuple[str, Mapping[str, type[BaseModel]]], ...] = (("sources", sources), ("helpdesks", helpdesks))
    for section, models in kinds:
        entry = _object(properties[section])
        entry["additionalProperties"] = _by_kind(section, models, definitions)
        properties[section] = entry
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **whole,
        "title": "routes.yaml of ticket-gateway",
        "properties": properties,
        "$defs": dict(sorted(definitions.items())),
    }


def _by_kind(section: str, kinds: Mapping[str, type[BaseModel]], definitions: JsonObject) -> JsonObject:
    choices: list[JsonValue] = []
    for name, model in sorted(kinds.items()):
        title = f"{section}.{name}"
        own = _of(model, prefix=f"{title}.")  # two kinds may have different models of one name
        definitions.update({f"{title}.{key}": value for key, value in _object(own.pop("$defs", {})).items()})
        properties: JsonObject = {**_object(own["properties"]), "kind": {"const": name, "description": f"`{name}`."}}
        required = {"kind", *(each for each in _list(own.get("required")) if isinstance(each, str))}
        definitions[title] = {
            **own,
            "title": title,
            "properties": properties,
            "required": list[JsonValue](sorted(required)),
        }
        choices.append({"$ref": f"#/$defs/{title}"})
    return {"oneOf": choices}


def _of(model: type[BaseModel], prefix: str = "") -> JsonObject:
    return _object(model.model_json_schema(by_alias=True, ref_template=f"#/$defs/{prefix}{{model}}"))


def _object(value: object) -> JsonObject:
    assert isinstance(value, dict)
    return dict(value)


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
