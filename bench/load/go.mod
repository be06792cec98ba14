module iarnet/bench/load

go 1.19
