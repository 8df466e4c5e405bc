"""Made by `chainrule derive`: one page and one module per derivation. Edit the chapters in spec/derive instead."""
