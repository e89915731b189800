"""Data contracts (Open Data Contract Standard 3.0 to 3.2): read, execute, extend and draft them."""

from headwater.dataops.contract_checks import broken, execute
from headwater.dataops.contract_edits import add_check, draft
from headwater.dataops.contract_files import load_contracts, parse_contracts
from headwater.dataops.contract_terms import CheckResult, Contract

__all__ = ["CheckResult", "Contract", "add_check", "broken", "draft", "execute", "load_contracts", "parse_contracts"]
