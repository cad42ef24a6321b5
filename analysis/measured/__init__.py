# SPDX-License-Identifier: GPL-2.0-only
"""Reads what was measured (docs/results.md, and the tools' -j output) and says what it means.

One way: source -> folder -> cells -> stats -> marks, sentences, tables -> text, pictures, page.
Only pictures/ and page need more than the standard library.
"""
