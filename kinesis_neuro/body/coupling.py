"""Dependent joints: coordinates that polynomial equality constraints tie to an independent one.

MyoLegs' knee has seven dependent coordinates a side. A pose that does not satisfy the
polynomials is torn back by the solver in the first step, so every pose passes through
:meth:`Coupling.complete`, and every generalised force through the tangent map
:meth:`Coupling.tangent` (forces on dependent coordinates, such as the quadriceps' on the
patella, act on the independent ones through it).
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from kinesis_neuro.errors import InvalidInputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Coupling:
    """The joint-equality polynomials of one model, as arrays.

    Attributes
    ----------
    dependent_qpos, dependent_dof : ndarray of int, shape (n_dependent,)
        Addresses of the dependent coordinates in ``qpos`` and ``qvel``.
    master_qpos, master_dof : ndarray of int, shape (n_dependent,)
        Addresses of the coordinates that they follow; -1 for a locked joint.
    coefficients : ndarray, shape (n_dependent, 5)
        ``q_dep - q0_dep = sum_k c_k (q_master - q0_master)^k`` (MuJoCo, "joint equality").
    qpos0 : ndarray, shape (nq,)
        The model's reference pose.
    independent_dof : ndarray of int, shape (n_independent,)
        All other degrees of freedom; the first six are the free root's.
    """

    dependent_qpos: NDArray[np.intp]
    dependent_dof: NDArray[np.intp]
    master_qpos: NDArray[np.intp]
    master_dof: NDArray[np.intp]
    coefficients: FloatArray
    qpos0: FloatArray
    independent_dof: NDArray[np.intp]
    nv: int

    @classmethod
    def from_model(cls, model: mujoco.MjModel) -> Coupling:
        """Read the active joint equalities of a compiled model."""
        is_joint = (model.eq_type == mujoco.mjtEq.mjEQ_JOINT) & (model.eq_active0 == 1)
        rows = np.flatnonzero(is_joint)
        dependent = model.eq_obj1id[rows]
        master = model.eq_obj2id[rows]
        chained = np.intersect1d(dependent, master[master >= 0])
        if chained.size:
            names = ", ".join(model.joint(j).name for j in chained)
            raise InvalidInputError(
                f"Joints that are both dependent and followed are not supported: {names}."
            )
        dependent_dof = model.jnt_dofadr[dependent].astype(np.intp)
        return cls(
            dependent_qpos=model.jnt_qposadr[dependent].astype(np.intp),
            dependent_dof=dependent_dof,
            master_qpos=np.where(master >= 0, model.jnt_qposadr[master], -1).astype(np.intp),
            master_dof=np.where(master >= 0, model.jnt_dofadr[master], -1).astype(np.intp),
            coefficients=model.eq_data[rows, :5].copy(),
            qpos0=model.qpos0.copy(),
            independent_dof=np.setdiff1d(np.arange(model.nv), dependent_dof).astype(np.intp),
            nv=int(model.nv),
        )

    def _master_offset(self, qpos: FloatArray) -> FloatArray:
        free = self.master_qpos >= 0
        offset = np.asarray(qpos[..., self.master_qpos] - self.qpos0[self.master_qpos])
        offset[..., ~free] = 0.0
        return offset

    def complete(self, qpos: FloatArray) -> FloatArray:
        """Set the dependent coordinates of poses from the independent ones.

        Parameters
        ----------
        qpos : ndarray, shape (..., nq)
            Poses [rad, m]; what stands in the dependent entries is ignored.

        Returns
        -------
        ndarray, shape (..., nq)
            A copy that satisfies every polynomial.
        """
        completed = np.array(qpos, dtype=float)
        x = self._master_offset(completed)
        c = self.coefficients
        value = c[:, 0] + x * (c[:, 1] + x * (c[:, 2] + x * (c[:, 3] + x * c[:, 4])))
        completed[..., self.dependent_qpos] = self.qpos0[self.dependent_qpos] + value
        return completed

    def slopes(self, qpos: FloatArray) -> FloatArray:
        """Derivative of each dependent coordinate by its master, shape (..., n_dependent)."""
        x = self._master_offset(np.asarray(qpos, dtype=float))
        c = self.coefficients
        slope = c[:, 1] + x * (2 * c[:, 2] + x * (3 * c[:, 3] + x * 4 * c[:, 4]))
        return np.where(self.master_qpos >= 0, slope, 0.0)

    def complete_velocity(self, qpos: FloatArray, qvel: FloatArray) -> FloatArray:
        """Set the dependent entries of velocities (..., nv) at poses (..., nq)."""
        completed = np.array(qvel, dtype=float)
        completed[..., self.dependent_dof] = self.slopes(qpos) * completed[..., self.master_dof]
        return completed

    def tangent(self, qpos: FloatArray) -> FloatArray:
        """Map T from independent to all velocities: ``qvel = T qvel[independent_dof]``.

        Parameters
        ----------
        qpos : ndarray, shape (..., nq)

        Returns
        -------
        ndarray, shape (..., nv, n_independent)
        """
        qpos = np.asarray(qpos, dtype=float)
        n = self.independent_dof.size
        column_of = np.full(self.nv, -1)
        column_of[self.independent_dof] = np.arange(n)
        tangent = np.zeros((*qpos.shape[:-1], self.nv, n))
        tangent[..., self.independent_dof, np.arange(n)] = 1.0
        follows = self.master_dof >= 0
        rows, columns = self.dependent_dof[follows], column_of[self.master_dof[follows]]
        tangent[..., rows, columns] = self.slopes(qpos)[..., follows]
        return tangent
