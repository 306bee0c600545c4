"""The HTTP application: routers of all packages under one roof.

Decides what they share: problem details for every failure, OpenAPI 3.1 as JSON and YAML at
/schema (no rendered page: those load outside assets), and that nothing is logged of a request.
"""

from importlib.metadata import version

from litestar import Litestar, Router
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import Components, License, SecurityScheme

from audit.problems import handlers


def application(*routers: Router) -> Litestar:
    """Return the application that serves these routers."""
    return Litestar(
        route_handlers=list(routers),
        exception_handlers=handlers(),
        # Bodies are bounded by the routers: ingest by its own limits, the rest by this.
        request_max_body_size=1024 * 1024,
        openapi_config=OpenAPIConfig(
            title="modelwitness",
            version=version("modelwitness"),
            description=(
                "Takes prediction logs into an encrypted, append-only, provable ledger and"
                " answers for them. Every refusal is a problem detail (RFC 9457)."
            ),
            license=License(name="Apache-2.0", identifier="Apache-2.0"),
            path="/schema",
            render_plugins=[JsonRenderPlugin(), YamlRenderPlugin()],
            components=Components(
                security_schemes={
                    "token": SecurityScheme(
                        type="http",
                        scheme="bearer",
                        description="A token of `modelwitness tokens create`, or of a sign-in.",
                    )
                }
            ),
            security=[{"token": []}],
        ),
        logging_config=None,
        debug=False,
    )
