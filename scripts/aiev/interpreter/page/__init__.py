"""The files of the page that `aiev.interpreter.web` serves.

A package of its own, so that an edit of the page counts for no job that talks to the interpreter.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
ASSETS = {
    "/": ("index.html", "text/html"),
    "/app.js": ("app.js", "text/javascript"),
    "/app.css": ("app.css", "text/css"),
}
"""Path of a request -> name of a file in FOLDER, and its media type."""
