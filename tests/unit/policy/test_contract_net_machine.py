"""The contract net beside its model, whatever happens."""

from __future__ import annotations

from tests.support.contract_machine import ContractNet
from tests.support.model_machine import driven

TestAContractNetDoesWhatItsModelPredicts = driven(ContractNet, 1_000)
