jobctl completions fish | source
