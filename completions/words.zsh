# The line from the last jobctl on: $words begins only at the command.
(( $+functions[_jobctl_complete] )) ||
_jobctl_complete() {
    local -a line=(${(z)LBUFFER})
    line=("${(@)line[${line[(I)*jobctl]},-1]}")
    _call_program $1 jobctl __complete $1 -- ${(q)line} 2>/dev/null
}
(( $+functions[_jobctl_jobs] )) ||
_jobctl_jobs() {
    local -a jobs=(${(f)"$(_jobctl_complete jobs)"})
    compadd -a jobs
}
(( $+functions[_jobctl_runs] )) ||
_jobctl_runs() {
    local -a runs=(${(f)"$(_jobctl_complete runs)"})
    compadd -V runs -a runs
}
(( $+functions[_jobctl_jobs_and_runs] )) ||
_jobctl_jobs_and_runs() {
    _jobctl_jobs
    _jobctl_runs
}

