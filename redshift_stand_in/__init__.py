"""A Redshift that can be tested: a real PostgreSQL behind a wire proxy; README.md describes what it imitates."""

from redshift_stand_in.stand_in import ROLE, RedshiftStandIn

__all__ = ["ROLE", "RedshiftStandIn"]
