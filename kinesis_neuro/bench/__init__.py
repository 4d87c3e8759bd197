"""How fast this machine is: physics, environment and training, and what a training would take."""
