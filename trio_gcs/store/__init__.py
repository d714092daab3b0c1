"""The order of everything, and what keeps it: ledger, tables and stores."""
