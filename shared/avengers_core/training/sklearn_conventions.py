"""What people who know scikit-learn expect of an estimator, without depending on scikit-learn."""

from __future__ import annotations

import copy
import functools
import inspect
import reprlib
from typing import Any, TypeVar

from ..errors import NotFittedError

__all__ = ["EstimatorParameters", "not_fitted_error"]

E = TypeVar("E", bound="EstimatorParameters")

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 80


class EstimatorParameters:
    """Parameters of an estimator, as `sklearn.base.BaseEstimator` has them.

    A subclass names its parameters in ``__init__`` and stores each as it is given, under the same name. Parameters are
    checked in ``fit``.
    """

    @classmethod
    def _default_parameters(cls) -> dict[str, Any]:
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
        return {parameter.name: parameter.default for parameter in sorted(parameters, key=lambda p: p.name)}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name.

        Args:
            deep: Accepted as scikit-learn passes it; no parameter is an estimator with parameters of its own.
        """
        return {name: getattr(self, name) for name in self._default_parameters()}

    def set_params(self: E, **params: Any) -> E:
        """Set parameters.

        Args:
            **params: Values by name.

        Returns:
            The estimator.

        Raises:
            ValueError: If there is no parameter of a name.
        """
        names = list(self._default_parameters())
        for name in params:
            if name not in names:
                raise ValueError(f"invalid parameter {name!r} of {type(self).__name__}: the parameters are {names}")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = self._default_parameters()
        changed = [
            f"{name}={_repr.repr(value)}"
            for name, value in self.get_params(deep=False).items()
            if repr(value) != repr(defaults[name])
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_clone__(self: E) -> E:
        """An unfitted estimator with the same parameters, for `sklearn.base.clone`.

        Lists, sets and dictionaries are copied. Embedders and functions are shared, since they may hold connections and
        locks.
        """
        params = self.get_params(deep=False)
        return type(self)(
            **{name: copy.deepcopy(v) if isinstance(v, (dict, list, set)) else v for name, v in params.items()}
        )

    def __sklearn_tags__(self) -> Any:
        """Tags, for functions of scikit-learn such as `sklearn.utils.validation.check_is_fitted`."""
        from sklearn.utils import Tags, TargetTags

        return Tags(estimator_type=None, target_tags=TargetTags(required=False))


def not_fitted_error(estimator: object) -> NotFittedError:
    """The error for an estimator that is used before ``fit``.

    If scikit-learn is installed, it is also a `sklearn.exceptions.NotFittedError`.
    """
    return _new_not_fitted_error(f"this {type(estimator).__name__} is not fitted yet: call fit first")


def _new_not_fitted_error(message: str) -> NotFittedError:
    return _not_fitted_class()(message)


@functools.cache
def _not_fitted_class() -> type[NotFittedError]:
    try:
        from sklearn import exceptions
    except ImportError:
        return NotFittedError

    class SklearnNotFittedError(NotFittedError, exceptions.NotFittedError):  # type: ignore[misc]
        """Both this package's and scikit-learn's error."""

        def __reduce__(self) -> Any:  # the class has no name that pickle can find
            return _new_not_fitted_error, self.args

    SklearnNotFittedError.__name__ = SklearnNotFittedError.__qualname__ = NotFittedError.__name__
    SklearnNotFittedError.__module__ = NotFittedError.__module__
    return SklearnNotFittedError
