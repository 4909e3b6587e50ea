"""Users in fixed blocks: on the threads of one machine, or on several."""
