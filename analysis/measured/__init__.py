# SPDX-License-Identifier: GPL-2.0-only
"""Reads results (docs/results.md, and the tools' -j output) and says what they mean.

One way: source -> folder -> cells -> stats -> marks, sentences, tables -> text, pictures, page.
Only pictures/ and page need more than the standard library.
"""
