# SPDX-License-Identifier: Apache-2.0
# Completion of redial for bash. Made by: redial completion bash
_redial() {
    local word=${COMP_WORDS[COMP_CWORD]}
    local before=${COMP_WORDS[COMP_CWORD - 1]}
    local verb= words= i
    local verbs="submit call await show list cancel events watch health stats budget reload version completion help policy"
    COMPREPLY=()
    case $before in
    --token-file)
        COMPREPLY=($(compgen -f -- "$word"))
        return ;;
    --tls-ca)
        COMPREPLY=($(compgen -f -- "$word"))
        return ;;
    --tls-cert)
        COMPREPLY=($(compgen -f -- "$word"))
        return ;;
    --file)
        COMPREPLY=($(compgen -f -- "$word"))
        return ;;
    --idempotent)
        words="yes no"
        COMPREPLY=($(compgen -W "$words" -- "$word"))
        return ;;
    --state)
        words="SCHEDULED READY RUNNING BACKOFF PARKED SUCCEEDED FAILED CANCELLED EXPIRED"
        COMPREPLY=($(compgen -W "$words" -- "$word"))
        return ;;
    --code)
        words="CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED"
        COMPREPLY=($(compgen -W "$words" -- "$word"))
        return ;;
    --policy)
        COMPREPLY=($(compgen -f -- "$word"))
        return ;;
    esac
    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ " $verbs " == *" ${COMP_WORDS[i]} "* ]]; then
            verb=${COMP_WORDS[i]}
            break
        fi
    done
    if [[ $verb == policy ]]; then
        for ((i++; i < COMP_CWORD; i++)); do
            if [[ ${COMP_WORDS[i]} != -* ]]; then
                verb="$verb ${COMP_WORDS[i]}"
                break
            fi
        done
    fi
    case $verb in
    submit) words=" --data --file --json-data --content-type --meta --priority --deadline --not-before --ttl --max-attempts --attempt-timeout --idempotent --wait --id --key --tenant --correlation-id" ;;
    call) words=" --data --file --json-data --content-type --meta --priority --deadline --not-before --ttl --max-attempts --attempt-timeout --idempotent --id --key --tenant --correlation-id" ;;
    await) words=" --key --tenant --correlation-id --result" ;;
    show) words=" --key --tenant --why" ;;
    list) words=" --tenant --correlation-id --service --method --state --max" ;;
    cancel) words=" --key --tenant --reason" ;;
    events) words=" --key --tenant --correlation-id --job --service --method --type --from --since --no-follow" ;;
    watch) words=" --tenant --until-done" ;;
    health) words="" ;;
    stats) words="" ;;
    budget) words=" --watch" ;;
    "policy check") words="" ;;
    "policy explain") words=" --idempotent --code --reason --pushback --for-target --overloaded --attempt --deadline --uncertain --for-job" ;;
    "policy simulate") words=" --from --policy" ;;
    reload) words="" ;;
    version) words="" ;;
    completion) words="" ;;
    help) words="" ;;
    esac
    if [[ $word == -* ]]; then
        words+=" --address --timeout --json --verbose --token-file --tls-ca --tls-cert --tls-name --help"
    elif [[ -z $verb || $verb == help ]]; then
        words=$verbs
    elif [[ $verb == policy ]]; then
        words="check explain simulate"
    elif [[ $verb == completion ]]; then
        words=bash
    elif [[ $verb == "policy check" ]]; then
        COMPREPLY=($(compgen -f -- "$word"))
        return
    else
        words=
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -F _redial redial
