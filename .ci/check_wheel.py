"""Whether a wheel is what users should get: small, without debug symbols, sources or generated C++."""

import sys
import zipfile

LARGEST = 3_000_000  # bytes beside the models
NEEDED = ("beadwise/page/layout.html", "beadwise/page/plotly-basic.min.js", "beadwise/analysis/report/run.html")
UNWANTED = (".c", ".cpp", ".hpp", ".pyx", ".pxi")


def main(path: str) -> None:
    """Exit with a line if it is not."""
    with zipfile.ZipFile(path) as wheel:
        entries = wheel.infolist()
        compiled = {entry.filename: wheel.read(entry) for entry in entries if entry.filename.endswith(".so")}
    beside_models = sum(entry.compress_size for entry in entries if not entry.filename.endswith(".safetensors"))
    unwanted = [entry.filename for entry in entries if entry.filename.endswith(UNWANTED)]
    unwanted += [name for name, content in compiled.items() if b".debug_info" in content]
    unwanted += [f"no {name}" for name in NEEDED if name not in {entry.filename for entry in entries}]
    if unwanted or beside_models > LARGEST or not compiled:
        sys.exit(f"Error: {path} has {beside_models} bytes beside its models, {sorted(compiled)} and {unwanted}")
    print(f"wheel: {beside_models / 1e6:.2f} MB beside its models, {len(entries)} files")


if __name__ == "__main__":
    main(sys.argv[1])
