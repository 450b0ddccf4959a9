#compdef hive
# zsh completion of hive
_hive() {
    local -a commands flags
    commands=(
{{- range .}}
        {{printf "%s:%s" .Name .Usage | quote}}
{{- end}}
    )
    if (( CURRENT == 2 )); then
        _describe 'command' commands
        return
    fi
    case "${words[2]}" in
{{- range .}}
    {{.Name}})
        flags=({{range .Flags}}{{printf "--%s:%s" .Long .Usage | quote}} {{end}})
        if [[ "$PREFIX" == -* ]]; then
            _describe 'flag' flags
        else
            {{if .Words}}compadd {{join .Words " "}}{{else}}_files{{end}}
        fi
        ;;
{{- end}}
    esac
}
if [[ "$funcstack[1]" == "_hive" ]]; then
    _hive "$@"
else
    compdef _hive hive
fi
