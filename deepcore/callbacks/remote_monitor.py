"""RemoteMonitor: the numbers of an epoch are sent to a server."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import numpy as np

from deepcore.callbacks.callback import Callback

PATIENCE = 10.0  # seconds that a server has for its answer


class RemoteMonitor(Callback):
    """Sends the number of each epoch and its logs to a server, with HTTP POST.

    Args:
        root: address of the server.
        path: below it.
        field: name of the form's field that holds the JSON.
        headers: more headers of the request, by name.
        send_as_json: send JSON itself instead of a form.

    Training goes on where the server cannot be reached, or refuses; a warning says so.
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
    ) -> None:
        super().__init__()
        self.root, self.path, self.field = root, path, field
        self.headers, self.send_as_json = headers, send_as_json

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        numbers = {name: np.asarray(value).item() for name, value in (logs or {}).items()}
        text = json.dumps({"epoch": epoch, **numbers})
        body = text if self.send_as_json else urlencode({self.field: text})
        kind = "application/json" if self.send_as_json else "application/x-www-form-urlencoded"
        address = self.root + self.path
        try:
            request = Request(address, body.encode(), {"Content-Type": kind, **(self.headers or {})}, method="POST")
            urlopen(request, timeout=PATIENCE).close()
        except (URLError, OSError) as error:
            warnings.warn(f"RemoteMonitor could not reach {address}: {error}.", stacklevel=2)
