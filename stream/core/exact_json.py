"""Extended JSON in which every BSON value comes back as it was: what is kept, not what is shown."""

from bson.codec_options import DatetimeConversion
from bson.json_util import JSONMode, JSONOptions

EXACT_JSON = JSONOptions(
    json_mode=JSONMode.CANONICAL,
    # Dates outside of years 1 to 9999 come back as `DatetimeMS`.
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    tz_aware=False,
)
