package html

import "testing"

// nodes is the document of the tests below.
const nodes = `<!DOCTYPE html><html lang="en"><head><title>T &amp; t</title></head><body id=bo><!--c1--><div id="d" class="a b  a" lang="fr" title="x">tx<p id=p1 class=b>one</p> <p id=p2>two<b>bb</b></p><!--c--></div><div class="b a" id=d2></div><svg id=sv><circle id=ci xlink:href="u"></svg><math id=ma></math></body></html>`

// TestElements holds what k6 v2.2.0 answers.
func TestElements(t *testing.T) {
	check(t, nodes, []answer{
		// One node.
		{`$('#d,#p1,#sv').get().map((e) => [e.id(), e.className(), e.classList(), e.lang(), e.nodeName(), e.nodeType(), e.nodeValue(), e.namespaceURI(), e.isDefaultNamespace(), e.toString()])`, `[["d","a b  a",["a","b","a"],"fr","div",1,undefined,"http://www.w3.org/1999/xhtml",true,"[object html.Node]"],["p1","b",["b"],undefined,"p",1,undefined,"http://www.w3.org/1999/xhtml",true,"[object html.Node]"],["sv",undefined,[],undefined,"svg",1,undefined,"http://www.w3.org/2000/svg",false,"[object html.Node]"]]`},
		{`[doc.get(0), $('#d').contents().get(0), $('#d').contents().get(4), doc.get(0).firstChild()].map((e) => [e.nodeName(), e.nodeType(), e.nodeValue(), e.textContent(), e.toString(), e.id(), e.className(), e.hasAttributes(), e.hasChildNodes()])`, `[["#document",9,undefined,"T & ttxone twobb","[object #document]","",undefined,false,true],["#text",3,"tx","tx","[object #text]","",undefined,false,false],["#comment",8,"","","[object #comment]","",undefined,false,false],["html",10,undefined,"","[object html]","",undefined,false,false]]`},
		{`get('d').textContent() + '|' + get('d').innerHTML()`, `"txone twobb|tx<p id=\"p1\" class=\"b\">one</p> <p id=\"p2\">two<b>bb</b></p><!--c-->"`},
		{`$('title').get(0).text()`, `"T & t"`},
		{"String(get('d')) + `${get('p1')}`", `"[object html.Node][object html.Node]"`},
		{`get('d').selection().find('b')`, `{<b>}`},

		// Its relatives.
		{`[get('d').parentNode(), get('d').parentElement(), $('html').get(0).parentNode(), $('html').get(0).parentElement(), doc.get(0).parentNode(), get('d').ownerDocument()]`, `[<body#bo>,<body#bo>,<#document>,undefined,undefined,<#document>]`},
		{`[get('d').firstChild(), get('d').lastChild(), get('d').firstElementChild(), get('d').lastElementChild(), get('p1').firstElementChild(), get('p1').lastElementChild()]`, `[<#text>,<#comment>,<p#p1>,<p#p2>,undefined,undefined]`},
		{`[get('p1').nextSibling(), get('p1').previousSibling(), get('p1').nextElementSibling(), get('p1').previousElementSibling(), get('p2').previousElementSibling()]`, `[<#text>,<#text>,<p#p2>,undefined,<p#p1>]`},
		{`[get('d').childNodes(), get('d').children(), get('d').childElementCount(), get('d2').childNodes(), get('d2').hasChildNodes()]`, `[[<#text>,<p#p1>,<#text>,<p#p2>,<#comment>],[<p#p1>,<p#p2>],2,[],false]`},

		// Attributes.
		{`Object.keys(get('d').attributes()).sort()`, `["class","id","lang","title"]`},
		{`[get('d').attributes().lang.name, get('d').attributes().lang.value, get('d').attributes().lang.localName()]`, `["lang","fr","lang"]`},
		{`((a) => [a.name, a.value, a.localName(), a.prefix(), a.namespaceURI(), a.owner_element])(get('ci').getAttributeNode('href'))`, `["href","u","href","xlink","http://www.w3.org/1999/xhtml",<circle#ci>]`},
		{`[get('d').getAttributeNode('nope'), get('d').getAttribute('lang'), get('d').getAttribute('LANG'), get('d').getAttribute('nope'), get('d').hasAttribute('lang'), get('d').hasAttribute('nope'), get('d').hasAttributes(), doc.get(0).attributes()]`, `[undefined,"fr",undefined,undefined,true,false,true,()]`},

		// Searches.
		{`[get('d').getElementsByClassName('b'), get('bo').getElementsByClassName('nope'), get('d').getElementsByTagName('P'), get('d').getElementsByTagName('*')]`, `[[<p#p1>],[],[<p#p1>,<p#p2>],[<p#p1>,<p#p2>,<b>]]`},
		{`[get('d').querySelector('p'), get('d').querySelector('nope'), get('d').querySelector('##'), get('d').querySelectorAll('p,b'), get('d').querySelectorAll('##')]`, `[<p#p1>,undefined,undefined,[<p#p1>,<p#p2>,<b>],[]]`},
		{`[get('d').matches('div.a'), get('d').matches('p'), get('d').matches('##')]`, `[true,false,false]`},

		// Comparisons.
		{`[get('d').contains($('b').get(0)), get('d').contains(get('d')), $('b').get(0).contains(get('d')), get('d').contains('p')]`, `[true,false,false,false]`},
		{`[get('d').isSameNode(get('d')), get('d').isSameNode(get('p1'))]`, `[true,false]`},
		{`[get('d').isEqualNode(get('d')), get('d').isEqualNode(get('d2')), parseHTML('<p id=a class=b>x</p>').find('p').get(0).isEqualNode(parseHTML('<p class=b id=a>x</p>').find('p').get(0)), parseHTML('<p>x</p>').find('p').get(0).isEqualNode(parseHTML('<p>y</p>').find('p').get(0))]`, `[true,false,true,false]`},
	})
}
