//! Runs the development issuer on 127.0.0.1:9999, or the port in `PORT`, until Ctrl-C.
//!
//! ```text
//! cargo run -p keyward-issuer --example issuer
//! ```

use keyward_issuer::{Issuer, IssuerConfig, SeedUser};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = match std::env::var("PORT") {
        Ok(port) => port.parse()?,
        Err(_) => 9999,
    };
    let issuer = Issuer::start(IssuerConfig {
        listen: ([127, 0, 0, 1], port).into(),
        users: vec![SeedUser::new("alice@example.com", "keyward-dev"), SeedUser::new("bob@example.com", "keyward-dev")],
        ..IssuerConfig::default()
    })
    .await?;
    println!("SUPABASE_URL={}", issuer.url());
    tokio::signal::ctrl_c().await?;
    issuer.stop().await;
    Ok(())
}
