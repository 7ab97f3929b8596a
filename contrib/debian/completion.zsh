#compdef jobctl
source <(jobctl completions zsh)
_jobctl "$@"
