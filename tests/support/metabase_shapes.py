"""The shapes of requests that Metabase 0.63 takes, key by key; any other key is refused."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Text = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]
Email = Annotated[str, StringConstraints(pattern=r"^\S+@\S+\.\S+$")]
Id = Annotated[int, Field(gt=0, strict=True)]
Whole = Annotated[int, Field(strict=True)]
Natural = Annotated[int, Field(ge=0, strict=True)]
Flag = Annotated[bool, Field(strict=True)]


class Shape(BaseModel):
    """A body, or a part of one: closed."""

    model_config = ConfigDict(extra="forbid")

    def told(self) -> dict[str, Any]:
        """Return what was sent, nothing more."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class SetupUser(Shape):
    """The first account."""

    email: Email
    password: Annotated[str, StringConstraints(min_length=6)]
    first_name: Text | None = None
    last_name: Text | None = None


class SetupPreferences(Shape):
    """Of the site."""

    site_name: Text
    site_locale: str | None = None


class Setup(Shape):
    """POST /api/setup."""

    token: Text
    user: SetupUser
    prefs: SetupPreferences


class SignIn(Shape):
    """POST /api/session."""

    username: Text
    password: Text


class Setting(Shape):
    """PUT /api/setting/:key."""

    value: Flag


class Details(Shape):
    """Connection of the DuckDB driver."""

    database_file: Text
    read_only: Flag
    memory_limit: Annotated[str, StringConstraints(pattern=r"^\d+(MB|GB)$")] | None = None
    init_sql: str
    additional_options: Annotated[
        str | None, Field(alias="additional-options"), StringConstraints(pattern=r"^(\w+=[^;]+;?)*$")
    ] = None


class NewDatabase(Shape):
    """POST /api/database."""

    name: Text
    engine: Literal["duckdb"]
    details: Details
    is_full_sync: Flag = True
    auto_run_queries: Flag = True


class ChangedDatabase(Shape):
    """PUT /api/database/:id."""

    name: Text | None = None
    engine: Literal["duckdb"] | None = None
    details: Details | None = None
    auto_run_queries: Flag | None = None


class NewCollection(Shape):
    """POST /api/collection."""

    name: Text
    description: Text | None = None
    parent_id: Id | None = None


class TemplateTag(Shape):
    """A variable of a native query."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
    name: Text
    display_name: Annotated[Text, Field(alias="display-name")]
    type: Literal["text", "number", "date"]


class Native(Shape):
    """SQL, and its variables."""

    query: Text
    template_tags: Annotated[dict[str, TemplateTag], Field(alias="template-tags")]


class Query(Shape):
    """A native query in the older of the two forms that Metabase takes."""

    type: Literal["native"]
    database: Id
    native: Native


class NewCard(Shape):
    """POST /api/card."""

    name: Text
    type: Literal["question", "model", "metric"] | None = None
    dataset_query: Query
    description: Text | None = None
    display: Literal["table", "bar", "line", "row", "scalar"]
    visualization_settings: dict[str, Any]
    collection_id: Id | None = None


class ChangedCard(Shape):
    """PUT /api/card/:id."""

    name: Text | None = None
    type: Literal["question", "model", "metric"] | None = None
    dataset_query: Query | None = None
    description: str | None = None
    display: Text | None = None
    visualization_settings: dict[str, Any] | None = None
    collection_id: Id | None = None
    archived: Flag | None = None


class NewDashboard(Shape):
    """POST /api/dashboard: without cards."""

    name: Text
    description: str | None = None
    collection_id: Id | None = None


class ValuesSource(Shape):
    """Where the values of a filter come from."""

    card_id: Id
    value_field: tuple[Literal["field"], Text, dict[str, str]]


class Parameter(Shape):
    """A filter of a dashboard."""

    id: Text
    name: Text
    slug: Text
    type: Literal["date/single", "string/=", "number/="]
    section_id: Annotated[Text, Field(alias="sectionId")]
    is_multi_select: Annotated[bool | None, Field(alias="isMultiSelect")] = None
    values_query_type: Literal["list", "search", "none"] | None = None
    values_source_type: Literal["card", "static-list"] | None = None
    values_source_config: ValuesSource | None = None


class Mapping(Shape):
    """What a filter does to a card."""

    parameter_id: Text
    card_id: Id
    target: tuple[Literal["variable"], tuple[Literal["template-tag"], Text]]


class Series(Shape):
    """A further card in the same place."""

    id: Id


class Dashcard(Shape):
    """A card's place on a dashboard; a negative id makes one."""

    id: Whole
    card_id: Id | None = None
    row: Natural
    col: Natural
    size_x: Id
    size_y: Id
    dashboard_tab_id: Whole | None = None
    action_id: Id | None = None
    parameter_mappings: list[Mapping] | None = None
    visualization_settings: dict[str, Any] | None = None
    inline_parameters: list[Text] | None = None
    series: list[Series] | None = None

    @model_validator(mode="after")
    def _fits_the_grid(self) -> Self:
        if self.col + self.size_x > 24:
            raise ValueError("sticks out of the grid")
        return self


class Tab(Shape):
    """A tab of a dashboard."""

    id: Whole
    name: Text


class ChangedDashboard(Shape):
    """PUT /api/dashboard/:id."""

    name: Text | None = None
    description: str | None = None
    collection_id: Id | None = None
    width: Literal["fixed", "full"] | None = None
    archived: Flag | None = None
    parameters: list[Parameter] | None = None
    dashcards: list[Dashcard] | None = None
    tabs: list[Tab] | None = None
