"""What programs are: types, graphs, loop nests, and the text that shows them."""
