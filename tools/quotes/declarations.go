package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// declarations gives declarations of a Go file with their comments, in the order asked for. A method is called
// Type.Method; a name in a group stands for the whole group.
func declarations(name string, text []byte, names []string) (string, error) {
	positions := token.NewFileSet()
	parsed, err := parser.ParseFile(positions, name, text, parser.ParseComments)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, wanted := range names {
		i := slices.IndexFunc(parsed.Decls, func(d ast.Decl) bool { return slices.Contains(declared(d), wanted) })
		if i < 0 {
			return "", fmt.Errorf("%s declares no %s", name, wanted)
		}
		from, to := parsed.Decls[i].Pos(), parsed.Decls[i].End()
		if doc := docOf(parsed.Decls[i]); doc != nil {
			from = doc.Pos()
		}
		parts = append(parts, string(text[positions.Position(from).Offset:positions.Position(to).Offset]))
	}
	return strings.Join(parts, "\n\n"), nil
}

// declared are the names that a declaration can be asked for by.
func declared(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		name := d.Name.Name
		if d.Recv != nil {
			name = receiver(d.Recv.List[0].Type) + "." + name
		}
		return []string{name}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, spec.Name.Name)
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

func receiver(expr ast.Expr) string {
	switch expr := expr.(type) {
	case *ast.StarExpr:
		return receiver(expr.X)
	case *ast.IndexExpr: // of a generic type
		return receiver(expr.X)
	case *ast.Ident:
		return expr.Name
	}
	return ""
}

func docOf(d ast.Decl) *ast.CommentGroup {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return d.Doc
	case *ast.GenDecl:
		return d.Doc
	}
	return nil
}
