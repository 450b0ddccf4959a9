package html

import "testing"

// mixture is the document of the tests below.
const mixture = `<table id=t><caption id=cap></caption><thead id=th><tr id=r1><th id=h1 scope=col abbr=ab>1</th><th id=h2></th></tr></thead><tbody id=tb><tr id=r2><td id=c1></td><td id=c2 colspan=3><table id=t2><tr id=r3><td id=c3></td></tr></table></td></tr><tr id=r4></tr></tbody><tfoot id=tf><tr id=r5><td id=c5></td></tr></tfoot></table>
<map id=m name=mm><area id=ar href="/x"></map><img id=im usemap="#m" src=i.png width=5 height=5px><img usemap="#mm"><video id=v muted src=v.mp4><track id=tr><track id=tr2 kind=chapters></video>
<script id=sc src=s.js>var a = "<b>";</script><style id=st>p > a {}</style><ol id=ol start=4 type=i><li id=li value=7 type=disc></ol><canvas id=ca width=9></canvas><meta id=mt http-equiv=refresh content=5>`

// TestTables holds what k6 v2.2.0 answers.
func TestTables(t *testing.T) {
	check(t, mixture, []answer{
		{`[get('t').caption(), get('t').tHead(), get('t').tFoot(), get('t').tBodies().length, get('t2').caption(), get('t2').tHead()]`, `[<caption#cap>,<thead#th>,<tfoot#tf>,2,undefined,undefined]`},
		{`['t', 't2', 'th', 'tb', 'tf'].map((i) => get(i).rows())`, `[[<tr#r1>,<tr#r2>,<tr#r3>,<tr#r4>,<tr#r5>],[<tr#r3>],[<tr#r1>],[<tr#r2>,<tr#r3>,<tr#r4>],[<tr#r5>]]`},
		{`['r1', 'r2', 'r4'].map((i) => get(i).cells())`, `[[<th#h1>,<th#h2>],[<td#c1>,<td#c2>,<td#c3>],[]]`},
		{`['r1', 'r2', 'r3', 'r4', 'r5'].map((i) => [get(i).rowIndex(), get(i).sectionRowIndex()])`, `[[0,0],[1,0],[0,0],[3,2],[4,0]]`},
		{`['h2', 'c1', 'c2', 'c3', 'c5'].map((i) => get(i).cellIndex())`, `[1,0,1,0,0]`},
		{`[get('c2').colSpan(), get('c2').rowSpan(), get('h1').scope(), get('h1').abbr(), get('h2').scope(), get('h2').sorted()]`, `[3,1,"col","ab","",false]`},
		{`[get('m').areas(), get('m').images(), get('m').name(), get('ar').href(), get('ar').pathname()]`, `[[<area#ar>],[<img#im>],"mm","/x","/x"]`},
		{`[get('im').width(), get('im').height(), get('im').src(), get('im').currentSrc(), get('im').crossOrigin(), get('im').useMap(), get('im').isMap()]`, `[5,0,"i.png","i.png",undefined,"#m",false]`},
		{`[get('v').muted(), get('v').defaultMuted(), get('v').loop(), get('v').preload(), get('v').currentSrc(), get('v').textTracks(), get('tr').kind(), get('tr2').kind(), get('tr').default()]`, `[true,true,false,"auto","v.mp4",[<track#tr>,<track#tr2>],"subtitle","chapters",false]`},
		{`[get('sc').text(), get('sc').src(), get('sc').innerHTML(), get('sc').async(), get('st').type(), get('st').textContent(), get('st').innerHTML()]`, `["var a = \"<b>\";","s.js","var a = &#34;&lt;b&gt;&#34;;",false,"text/css","p > a {}","p &gt; a {}"]`},
		{`[get('ol').start(), get('ol').type(), get('ol').reversed(), get('li').value(), get('li').type(), get('ca').width(), get('ca').height(), get('mt').httpEquiv(), get('mt').content()]`, `[4,"i",false,7,"disc",9,150,"refresh","5"]`},
	})
}
