package html

import "testing"

// formPage is the document of the tests below.
const formPage = `<form id=f action="act?q=1" method=post enctype=text/plain target=t novalidate><fieldset id=fs><legend id=lg>L</legend>
<input id=i1 name=a value="1 2&é" list=dl><label for=i1 id=l1>x</label><label id=l2><input id=i2 type=checkbox name=c checked=checked></label>
<input type=checkbox name=c2 value=v checked><input type=radio name=r value=1><input type=radio name=r value=2 checked=checked>
<select id=s name=s multiple><optgroup id=og disabled><option id=o1>A</option><option id=o2 selected value=v2 label=LL>B</option></optgroup><option id=o3 selected>C <b>c</b></option></select>
<select id=s2 name=s2><option id=o4>x</option></select></fieldset>
<button id=bt name=bt>go <b>on</b></button><button id=bt2 value=v formmethod=get formaction=other></button><textarea id=ta name=t>text &amp; t</textarea>
<output id=ou for="i1 i2">42</output><progress id=pr value=3 max=4></progress><progress id=pr2></progress><meter id=me low=2></meter>
<datalist id=dl><option id=d1></option></datalist><input name="" value=e><input value=none><input name=a value=again disabled><input type=submit name=go value=G></form>
<input id=i3 form=f><label id=l3 for=i3></label><label id=l4 for=nope form=f></label><select id=s3 form=f><option id=o5></select><fieldset id=fs2><legend id=lg2></fieldset>`

// TestForms holds what k6 v2.2.0 answers.
func TestForms(t *testing.T) {
	check(t, formPage, []answer{
		// Values.
		{`['#i1', '#i2', '#i3', '#bt', '#bt2', '#ta', '#s', '#s2', '#o1', '#o2', '#o3', '#fs', '#nope'].map((s) => $(s).val())`, `["1 2&é","on","","","v","text &amp; t",["v2","C <b>c</b>"],"","A","v2","C <b>c</b>",undefined,undefined]`},
		{`$('[name=c2]').val() + $('#i3').attr('type', 'none')`, `"vnone"`},
		{`$('#i1').serialize()`, `"a=1+2%26%C3%A9"`},
		{`$('form').serialize()`, `"a=again&c=on&r=2&s=v2&s=C+%3Cb%3Ec%3C%2Fb%3E&s2=&t=text+%26amp%3B+t"`},
		{`$('form').serializeObject()`, `(a:"again",c:"on",r:"2",s:["v2","C <b>c</b>"],s2:"",t:"text &amp; t")`},
		{`$('form').serializeArray()`, `[(name:"a",value:"1 2&é"),(name:"c",value:"on"),(name:"r",value:"2"),(name:"s",value:["v2","C <b>c</b>"]),(name:"s2",value:""),(name:"t",value:"text &amp; t"),(name:"a",value:"again")]`},
		{`$('select').serialize()`, `"s=v2&s=C+%3Cb%3Ec%3C%2Fb%3E&s2="`},
		{`$('fieldset').serialize()`, `""`},
		{`$('nope').serialize()`, `""`},
		{`$('nope').serializeArray()`, `[]`},
		{`$('nope').serializeObject()`, `()`},

		// What belongs together.
		{`['i1', 'i3', 's', 's3', 'bt', 'ta', 'ou', 'fs', 'fs2', 'lg', 'lg2', 'l1', 'l3', 'l4', 'o1', 'o5', 'd1'].map((i) => get(i).form())`, `[<form#f>,<form#f>,<form#f>,<form#f>,<form#f>,<form#f>,<form#f>,<form#f>,undefined,<form#f>,undefined,<form#f>,undefined,<form#f>,<form#f>,<form#f>,<form#f>]`},
		{`['i1', 'i2', 'i3', 'bt', 'pr', 'me', 's'].map((i) => get(i).labels())`, `[[<label#l1>],[<label#l2>],[<label#l3>],[],[],[],[]]`},
		{`['l1', 'l2', 'l3', 'l4'].map((i) => get(i).control())`, `[<input#i1>,undefined,<input#i3>,undefined]`},
		{`['f', 'fs', 'fs2'].map((i) => get(i).elements())`, `[[<fieldset#fs>,<input#i1>,<input#i2>,<input>,<input>,<input>,<select#s>,<select#s2>,<button#bt>,<button#bt2>,<textarea#ta>,<input>,<input>,<input>,<input>],[<input#i1>,<input#i2>,<input>,<input>,<input>,<select#s>,<select#s2>],[]]`},
		{`['f', 's', 's2', 'ta'].map((i) => get(i).length())`, `[15,3,1,0]`},
		{`['s', 's2', 'dl'].map((i) => get(i).options())`, `[[<option#o1>,<option#o2>,<option#o3>],[<option#o4>],[<option#d1>]]`},
		{`['s', 's2'].map((i) => [get(i).selectedOptions(), get(i).selectedIndex(), get(i).value(), get(i).size(), get(i).type()])`, `[[[<option#o2>,<option#o3>],1,"v2",4,"select-multiple"],[[],-1,"",1,"select"]]`},
		{`['o1', 'o2', 'o3', 'o4', 'd1'].map((i) => [get(i).index(), get(i).disabled(), get(i).label(), get(i).text(), get(i).value(), get(i).selected(), get(i).defaultSelected()])`, `[[0,true,"A","A","A",false,false],[1,true,"LL","B","v2",true,true],[2,false,"C c","C c","C <b>c</b>",true,true],[0,false,"x","x","x",false,false],[0,false,"","","",false,false]]`},
		{`['i1', 'i2'].map((i) => get(i).list())`, `[<datalist#dl>,undefined]`},
		{`['bt', 'bt2', 'i1', 'i3'].map((i) => [get(i).formAction(), get(i).formMethod(), get(i).formEnctype(), get(i).formTarget(), get(i).formNoValidate()])`, `[["act?q=1","post","text/plain","t",true],["other","get","text/plain","t",true],["act?q=1","post","text/plain","t",true],["act?q=1","post","text/plain","t",true]]`},
		{`[get('f').action(), get('f').method(), get('f').enctype(), get('f').encoding(), get('f').target(), get('f').noValidate(), get('f').autocomplete(), get('f').acceptCharset()]`, `["act?q=1","post","text/plain","text/plain","t",true,"on",""]`},
		{`['i1', 'ta', 'ou', 'bt', 'bt2', 'pr', 'pr2'].map((i) => get(i).value())`, `["1 2&é","","42","go <b>on</b>","v",0.75,0]`},
		{`['pr', 'pr2'].map((i) => [get(i).max(), get(i).position()])`, `[[4,0.75],[1,-1]]`},
		{`[get('i2').checked(), get('i2').defaultChecked(), get('i2').type(), get('i1').type(), get('i1').maxLength(), get('i1').defaultValue(), get('i1').tabIndex()]`, `[true,true,"checkbox","text",-1,"1 2&é",0]`},
		{`[get('ta').defaultValue(), get('ta').wrap(), get('ou').htmlFor(), get('l1').htmlFor(), get('me').low(), get('me').high(), get('fs').type(), get('ou').type()]`, `["","soft","i1 i2","i1",2,0,"fieldset","output"]`},
	})
}
