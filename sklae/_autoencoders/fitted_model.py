"""What a fitted model makes of rows and codes, in chunks and without state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sklae._autoencoders.checks import check_support
from sklae._autoencoders.inference import Inference, check_answer, within_reach
from sklae._model.module import Autoencoder
from sklae._tables.conditions import own_condition
from sklae._tables.layout import Rows
from sklae._utils.random import torch_generator
from sklae._utils.torch_settings import torch_settings

__all__ = ["FittedModel"]


class FittedModel(Inference):
    """A layout and a trained net: codes, expected cells, log-densities and draws.

    What estimators, detector and imputer hold. Tables that come in are validated, with numbers and codes for all
    columns that were fitted; what comes out is in the user's units.

    Parameters
    ----------
    layout : Layout
    net : AutoencoderNet
    """

    # -- codes ------------------------------------------------------------------------------------------

    def codes(self, table: np.ndarray) -> np.ndarray:
        """Return posterior means, (n_rows, n_components), in the table's dtype."""

        def encode(module: Autoencoder, rows: Rows) -> np.ndarray:
            return module.encode(*rows).mean.cpu().numpy()

        return self.map_rows(encode, table, out=np.empty((len(table), self.n_components), dtype=table.dtype))

    def decode(self, codes: np.ndarray, condition: np.ndarray | None) -> np.ndarray:
        """Return the expected rows of codes, all columns that were fitted, in the codes' dtype."""
        out = np.empty((len(codes), self.layout.n_features), dtype=codes.dtype)
        module, device = self.inference_module(codes.dtype)
        with torch_settings(n_threads=1, gradients=False):
            for rows in self.chunks(len(codes)):
                z = within_reach(torch.tensor(codes[rows])).to(device)
                c = self.encode_condition(None if condition is None else condition[rows], z.dtype, device)
                mean = module.given(z, c).mean
                out[rows] = self.layout.decode(mean.cpu().numpy())
        return self.layout.columns.join(check_answer(out, finite=True), condition)

    def reconstruct(self, table: np.ndarray) -> np.ndarray:
        """Return rows encoded and decoded, in the table's dtype."""

        def reconstruct(module: Autoencoder, rows: Rows) -> np.ndarray:
            mean = module.given(module.encode(*rows).mean, rows.condition).mean
            return self.layout.decode(mean.cpu().numpy())

        out = np.empty((len(table), self.layout.n_features), dtype=table.dtype)
        data = check_answer(self.map_rows(reconstruct, table, out=out), finite=True)
        return self.layout.columns.join(data, own_condition(table, self.layout.columns))

    def draw_rows(
        self, codes: Any, condition: np.ndarray | None, random_state: np.random.RandomState, *, noise: bool = True
    ) -> np.ndarray:
        """Draw a row for each code, all columns that were fitted, float64; without noise, return the expected one."""
        module, device = self.inference_module(np.dtype(np.float64))
        out = np.empty((len(codes), self.layout.n_features))
        generator = torch_generator(random_state, device)
        with torch_settings(n_threads=1, gradients=False):
            codes, c = torch.as_tensor(codes).to(device), self.encode_condition(condition, torch.float64, device)
            for rows in self.chunks(len(codes)):
                given = module.given(codes[rows], None if c is None else c[rows])
                is_expected = module.likelihood.noiseless or not noise
                drawn = given.mean if is_expected else given.sample(generator)
                out[rows] = self.layout.decode(drawn.cpu().numpy())
        return self.layout.columns.join(out, condition)

    # -- expected cells: numbers, and indicators of levels ------------------------------------------------

    def expect(self, table: np.ndarray) -> np.ndarray:
        """Return the cells that rows are rebuilt as, (n_rows, n_cells), float64."""

        def expect(module: Autoencoder, rows: Rows) -> np.ndarray:
            return self.decode_cells(module.given(module.encode(*rows).mean, rows.condition).expectation())

        return self.map_rows(expect, table, out=self.empty_cells(table))

    def expect_given_condition(self, table: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return the cells expected under the rows' conditions alone, on the average of codes, shared by all rows."""

        def expect(module: Autoencoder, rows: Rows) -> np.ndarray:
            z = torch.as_tensor(codes).to(rows.x)[:, None, :].expand(-1, len(rows.x), -1)
            expected = self.mean_over_draws(lambda part: module.given(part, rows.condition).expectation(), z)
            return self.decode_cells(expected)

        return self.map_rows(expect, table, out=self.empty_cells(table), n_draws=len(codes))

    def expect_given_observed(self, table: np.ndarray, n_draws: int) -> np.ndarray:
        """Return the cells expected given what was observed of rows; here, as they are rebuilt."""
        return self.expect(table)

    # -- scores -----------------------------------------------------------------------------------------

    def score(self, table: np.ndarray) -> np.ndarray:
        """Return the log-likelihood of rows given their own codes, (n_rows,), in nats."""
        return self.score_by(self.log_density, table)

    def log_density(self, module: Autoencoder, rows: Rows) -> torch.Tensor:
        """Return what ``score_samples`` says of encoded rows, (n_rows,), without the scaling's Jacobian."""
        return module.log_likelihood(module.encode(*rows).mean, rows)

    def score_by(self, log_density: Callable, table: np.ndarray, n_draws: int = 1) -> np.ndarray:
        """Return ``log_density(module, rows)`` of rows in the user's units: with the scaling's Jacobian."""

        def score(module: Autoencoder, rows: Rows) -> np.ndarray:
            check_support(rows, module.supports)
            module.likelihood.check(rows.x, rows.observed)
            scores = log_density(module, rows).cpu() + self.log_jacobians(module, rows).sum(-1)
            return scores.numpy()

        return self.map_rows(score, table, out=np.empty(len(table)), n_draws=n_draws)
