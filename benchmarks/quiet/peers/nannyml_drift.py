"""Run in NannyML's environment: univariate drift at its defaults, a chunk per window; one JSON object on stdout.

python nannyml_drift.py FOLDER    with reference.parquet and windows.parquet (both with a column `_window`)
"""

import json
import os
import sys
from pathlib import Path

os.environ["NML_DISABLE_USAGE_LOGGING"] = "True"

import nannyml as nml
import pandas as pd


def chunks(frame: pd.DataFrame) -> pd.DataFrame:
    """Put the windows where a chunker by day finds them, whatever their length."""
    keys = sorted(frame["_window"].unique())
    return frame.assign(_time=frame["_window"].map({key: pd.Timestamp(key) for key in keys})).drop(columns="_window")


def main() -> None:
    """Fit on the reference and judge every window."""
    folder = Path(sys.argv[1])
    reference, windows = (chunks(pd.read_parquet(folder / f"{name}.parquet")) for name in ("reference", "windows"))
    columns = [name for name in reference.columns if name != "_time"]
    texts = [name for name in columns if not pd.api.types.is_numeric_dtype(reference[name])]
    columns = [name for name in columns if reference[name].notna().any()]
    calculator = nml.UnivariateDriftCalculator(
        column_names=columns, treat_as_categorical=texts, timestamp_column_name="_time", chunk_period="D"
    )
    told = calculator.fit(reference).calculate(windows).filter(period="analysis").to_df()
    keys = told[("chunk", "chunk", "key")].astype(str).tolist()
    found = {key: {} for key in keys}
    for name in columns:
        for at, key in enumerate(keys):
            part = told[(name, "jensen_shannon")].iloc[at]
            found[key][name] = {"value": float(part["value"]), "alarm": bool(part["alert"])}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
