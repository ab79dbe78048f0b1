"""The application: routes, limits and errors around a ``Service``."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles

from glinermt import __version__
from glinermt.serve import errors, replies, requests
from glinermt.serve.access import Access
from glinermt.serve.endpoints import ENDPOINTS, Endpoint
from glinermt.serve.metrics import Metrics
from glinermt.serve.service import ServeSettings, Service
from glinermt.serve.streams import NDJSON, LinesReply, reply_lines
from glinermt.tasks.run import kinds_of
from glinermt.types import Extractor

_CONTENT_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src {files} data:; style-src {files} "
    "'unsafe-inline'; script-src {files} 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""What a page may load beside what stands in it: nothing, or the server's own ``files``."""
_FOLLOW_COLOURS = """<script>
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();
</script>
"""
"""Swagger UI has dark colours, and takes them from a class instead of the reader's preference."""
_DESCRIPTION = """Entities, relations, answers and summaries from one small model.

Field names are those of the Python functions. `text` may be one text or a list; `result` is then
what the function gives: one result or a list. Offsets count code points unless `offset_unit` says
`utf16` (JavaScript, Java, C#) or `utf8` (bytes). `POST .../batch` takes one request a line and
answers each with a line, in the same order; read while you write.
"""


def create_app(models: Mapping[str, Extractor], settings: ServeSettings | None = None) -> FastAPI:
    """Make the application.

    Args:
        models: loaded models by the names that requests know them by; the first is the default.
        settings: limits and keys; None = the defaults.
    """
    settings = settings or ServeSettings()
    metrics = Metrics()
    service = Service(models, settings, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(
        title="glinermt",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.add_middleware(Access, settings=settings, metrics=metrics)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key"],
            expose_headers=["Retry-After", "X-Request-ID"],
        )
    errors.install(app)
    keys = [Depends(HTTPBearer(auto_error=False))] if settings.api_keys else []
    for endpoint in ENDPOINTS:
        _add_task(app, service, endpoint, keys)
    _add_about(app, service, keys)
    _add_pages(app)
    return app


def _add_task(app: FastAPI, service: Service, endpoint: Endpoint, keys: list[Any]) -> None:
    """Add a task's two routes; ``keys`` only describes what ``Access`` asks for."""
    path = f"/v1/{endpoint.path}"
    limit = service.settings.max_body_bytes

    async def one(body: Any, request: Request) -> Response:
        _note(request, service, path, body)
        try:
            reply = await service.reply(endpoint, body, request)
        except (Exception, asyncio.CancelledError) as error:
            raise errors.as_request_error(error) from error
        return Response(reply.model_dump_json(), media_type="application/json")

    async def batch(request: Request) -> Response:
        return LinesReply(reply_lines(service, endpoint, request))

    one.__annotations__["body"] = endpoint.request
    name = endpoint.path.replace("-", "_")
    app.add_api_route(
        path,
        one,
        methods=["POST"],
        response_model=endpoint.reply,
        responses=_responses(400, 401, 413, 422, 429, 500, 503, 504),
        summary=endpoint.summary,
        operation_id=name,
        tags=["tasks"],
        dependencies=keys,
        max_body_size=limit,
    )
    schema = {"$ref": f"#/components/schemas/{endpoint.request.__name__}"}
    app.add_api_route(
        f"{path}/batch",
        batch,
        methods=["POST"],
        response_class=LinesReply,
        responses={
            200: {"description": "A reply or an error a line.", "content": {NDJSON: {}}},
            **_responses(401),
        },
        summary=f"{endpoint.summary}: JSON lines in, JSON lines out",
        operation_id=f"{name}_batch",
        tags=["streams"],
        dependencies=keys,
        openapi_extra={"requestBody": {"content": {NDJSON: {"schema": schema}}, "required": True}},
    )


def _add_about(app: FastAPI, service: Service, keys: list[Any]) -> None:
    """Add what says how the server is."""

    def about(path: str, **options: Any) -> Callable[[Any], Any]:
        def add(function: Any) -> Any:
            app.get(path, tags=["server"], **options)(function)
            return app.head(path, include_in_schema=False)(function)  # as some probes ask

        return add

    @about("/health", summary="Whether the process is alive")
    async def health() -> replies.Status:
        return replies.Status(status="ok")

    @about("/ready", summary="Whether requests are answered", responses=_responses(503))
    async def ready() -> replies.Status:
        if not service.ready:
            raise errors.RequestError(503, "the server stops, or a worker has died")
        return replies.Status(status="ready")

    @about(
        "/metrics",
        summary="Numbers for Prometheus",
        response_class=PlainTextResponse,
        responses=_responses(401),
        dependencies=keys,
    )
    async def metrics() -> Response:
        return Response(service.metrics.render(), media_type=service.metrics.content_type)

    @about(
        "/v1/models",
        summary="The models by their names",
        responses=_responses(401),
        dependencies=keys,
    )
    async def models() -> replies.ModelList:
        cards = [
            replies.ModelCard(
                name=name,
                kinds=sorted(kinds_of(batches.model)),
                thresholds=dict(batches.model.settings.thresholds),
            )
            for name, batches in service.batches.items()
        ]
        return replies.ModelList(models=cards, default=service.default)


def _add_pages(app: FastAPI) -> None:
    """Add the page to try the tasks, and Swagger UI; neither loads anything from elsewhere."""
    page = (files("glinermt.serve") / "page.html").read_text(encoding="utf-8")
    swagger = get_swagger_ui_html(
        openapi_url="openapi.json",
        title="glinermt",
        swagger_js_url="docs/swagger-ui-bundle.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url="docs/favicon-32x32.png",
    )
    described = bytes(swagger.body).decode().replace("</head>", f"{_FOLLOW_COLOURS}</head>")

    @app.get("/", include_in_schema=False)
    async def try_it() -> HTMLResponse:
        return _page(page, files="")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return _page(described, files="'self'")

    app.mount("/docs", StaticFiles(packages=[("fastapi_swagger", "resources")]))


def _page(html: str, files: str) -> HTMLResponse:
    """Return a page that may load ``files`` only, which are none or the server's own."""
    policy = _CONTENT_POLICY.format(files=files)
    return HTMLResponse(html, headers={"Content-Security-Policy": policy})


def _responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"model": replies.ErrorReply, "description": errors.CODES[status]}
        for status in statuses
    }


def _note(request: Request, service: Service, path: str, body: requests.TaskRequest) -> None:
    """Note what the log and the metrics say of a request."""
    texts = body.texts()
    service.metrics.count_texts(path, len(texts))
    asked: dict[str, Any] = {"texts": len(texts), "chars": sum(map(len, texts))}
    if service.settings.log_texts:
        asked["body"] = body.model_dump(mode="json", by_alias=True, exclude_none=True)
    request.scope["state"]["asked"] = asked
