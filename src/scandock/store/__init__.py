"""Where bytes live: spools, stages, trees behind one port."""
