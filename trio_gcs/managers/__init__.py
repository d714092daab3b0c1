"""Managers decide: each owns rows, a table of states, and the duties that its rows owe."""
