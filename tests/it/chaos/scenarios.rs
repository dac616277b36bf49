//! Single faults, each with a name: what happens when exactly this goes wrong.
