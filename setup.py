"""Builds the shim into the wheel; everything else is in pyproject.toml.

The shim is no Python module: it is an Extension only because that is how setuptools compiles something and
puts it beside the package.  It knows no Python, so one wheel serves all versions.  Without a compiler the
package is built without it: then socketwatch says that it cannot tell a hang, and ends nothing by mistake.

``build_ext --build-lib DIRECTORY`` alone gives the shim for a distribution to put where
mswatch/socketwatch/preload.py looks for it.
"""

from setuptools import Extension, setup  # type: ignore[import-untyped, unused-ignore]

SHIM = "mswatch/socketwatch"
SOURCES = [f"{SHIM}/{name}.c" for name in ("bytes", "calls", "datagram", "echo", "progress", "store")]

setup(
    ext_modules=[
        Extension(
            "mswatch.socketwatch.shim",
            SOURCES,
            depends=[f"{SHIM}/shim.h"],
            # -fexceptions: a cancelled thread is unwound through our calls.
            extra_compile_args=["-std=c11", "-fexceptions", "-fvisibility=hidden"],
            # now: no symbol is looked up in a signal handler.  -ldl: dlsym before glibc 2.34.
            extra_link_args=["-Wl,-z,now", "-Wl,--as-needed", "-ldl"],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
