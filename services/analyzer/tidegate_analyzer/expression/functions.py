"""The table of functions that need no body: name -> function of (meter, arguments...).

How many arguments a function takes is checked before anything runs (`checker.py`); of what type, here.
"""

from collections.abc import Callable
from typing import Any

from tidegate_analyzer.expression import functions_list, functions_number, functions_text

Function = Callable[..., Any]

FUNCTIONS: dict[str, Function] = {**functions_number.TABLE, **functions_text.TABLE, **functions_list.TABLE}
