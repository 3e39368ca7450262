module components/witness

go 1.26.0
