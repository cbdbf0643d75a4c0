"""Every error this project raises on purpose.

    CreusetError                                                       exit 1
      ConfigError        the caller asked for something that cannot be   exit 2
      DataError          an input file is not what it claims to be       exit 3
      ArtifactError      an artifact is missing, damaged or foreign      exit 3
      TrainingError      a run cannot go on (non-finite steps)           exit 4
      DiskFull           a file cannot be written: no room left          exit 4
      MemoryFull         the system gives no more memory                 exit 4
      EngineError        the engine process is gone or refuses           exit 5, HTTP 503
      RequestError       a client's request is refused                   HTTP 400
        NotAllowed       401 invalid_api_key
        Forbidden        403 forbidden
        NotFound         404 not_found
        PromptTooLong    400 context_length_exceeded
        Overloaded       429 slow_down, with `retry_after` seconds

A message names the thing and the value; the optional hint says what to do next.
`assert` is kept for facts that only a bug of ours can make false.
"""


class CreusetError(Exception):
    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(CreusetError):
    exit_code = 2


class DataError(CreusetError):
    exit_code = 3


class ArtifactError(CreusetError):
    exit_code = 3


class TrainingError(CreusetError):
    exit_code = 4


class DiskFull(CreusetError):
    """There is no room to write; what was journaled before is kept, and the command can be started again."""

    exit_code = 4


class MemoryFull(CreusetError):
    """The system gives no more memory, or a limit of this process or its container is reached."""

    exit_code = 4


class EngineError(CreusetError):
    exit_code = 5
    status = 503
    code = "engine_unavailable"
    retry_after: float | None = None  # seconds; None: a moment


class RequestError(CreusetError):
    """A client's request is refused; `param` names the field of the request."""

    status = 400
    code: str | None = None
    kind = "invalid_request_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        hint: str = "",
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.param = param
        self.retry_after = retry_after
        if code is not None:
            self.code = code


class NotAllowed(RequestError):
    status = 401
    code = "invalid_api_key"


class Forbidden(RequestError):
    status = 403
    code = "forbidden"


class NotFound(RequestError):
    status = 404
    code = "not_found"


class PromptTooLong(RequestError):
    code = "context_length_exceeded"


class Overloaded(RequestError):
    status = 429
    code = "slow_down"
    kind = "rate_limit_error"
