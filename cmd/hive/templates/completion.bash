# bash completion of hive
_hive() {
    local current="${COMP_WORDS[COMP_CWORD]}" command="" word flags="" words="" files=""
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "$word" in
        -*) ;;
        *) command="$word"; break ;;
        esac
    done
    case "$command" in
    "") words="{{range .}}{{.Name}} {{end}}help"; flags="--help --version" ;;
{{- range .}}
    {{.Name}}) flags="{{join .Dashed " "}} --help"; words="{{join .Words " "}}"; files="{{if .Files}}yes{{end}}" ;;
{{- end}}
    esac
    if [[ "$current" == -* ]]; then
        COMPREPLY=($(compgen -W "$flags" -- "$current"))
        return
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    if [[ -n "$files" || ( -n "$command" && "${COMP_WORDS[COMP_CWORD-1]}" == -* ) ]]; then
        COMPREPLY+=($(compgen -f -- "$current"))
    fi
}
complete -o filenames -F _hive hive
