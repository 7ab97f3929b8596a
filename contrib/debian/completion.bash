source <(jobctl completions bash)
